-- The sweep finds what is due without looking at what is not: relay sessions that have ended are one range of their
-- table, whatever their organisation; all else has an index by its time. And the row of a device's session is found
-- by its key. What an older Worker writes while the new one is deployed is found too: its pairing requests are due
-- at once, and then get their time.
DROP INDEX `session_devices_by_device`;--> statement-breakpoint
ALTER TABLE `session_devices` ADD `created_at` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `session_devices_by_device` ON `session_devices` (`organisation_id`,`device_id`,`created_at`,`session_id`);--> statement-breakpoint
CREATE TABLE `__new_sessions` (
	`organisation_id` integer NOT NULL,
	`kind` text NOT NULL,
	`ended` integer NOT NULL,
	`created_at` integer NOT NULL,
	`id` text NOT NULL,
	`ended_at` integer,
	`version` integer NOT NULL,
	`announced` integer NOT NULL,
	`sweep_at` integer,
	`state` text NOT NULL,
	`key_id` integer,
	`user_id` integer,
	`source_id` integer,
	`used_at` integer,
	PRIMARY KEY(`kind`, `ended`, `organisation_id`, `created_at`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
INSERT INTO `__new_sessions`("organisation_id", "kind", "ended", "created_at", "id", "ended_at", "version", "announced", "sweep_at", "state", "key_id", "user_id", "source_id", "used_at") SELECT "organisation_id", "kind", "ended", "created_at", "id", "ended_at", "version", "announced", "sweep_at", "state", "key_id", "user_id", "source_id", "used_at" FROM `sessions`;--> statement-breakpoint
DROP TABLE `sessions`;--> statement-breakpoint
ALTER TABLE `__new_sessions` RENAME TO `sessions`;--> statement-breakpoint
CREATE INDEX `sessions_sweep` ON `sessions` (`sweep_at`) WHERE sweep_at is not null;--> statement-breakpoint
CREATE INDEX `sessions_by_key` ON `sessions` (`organisation_id`,`key_id`,`ended`,`created_at`,`id`) WHERE key_id is not null;--> statement-breakpoint
CREATE INDEX `sessions_by_user` ON `sessions` (`organisation_id`,`user_id`,`ended`,`created_at`,`id`) WHERE user_id is not null;--> statement-breakpoint
CREATE INDEX `sessions_by_source` ON `sessions` (`organisation_id`,`source_id`,`ended`,`created_at`,`id`) WHERE source_id is not null;--> statement-breakpoint
CREATE INDEX `sessions_by_end` ON `sessions` (`organisation_id`,`ended_at`) WHERE source_id is not null and ended = 1;--> statement-breakpoint
CREATE INDEX `sessions_by_age` ON `sessions` (`ended_at`) WHERE source_id is not null and ended > 0;--> statement-breakpoint
CREATE INDEX `sessions_ended_by_id` ON `sessions` (`id`) WHERE source_id is not null and ended > 0;--> statement-breakpoint
ALTER TABLE `pairing_requests` ADD `sweep_at` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `pairing_requests_due` ON `pairing_requests` (`sweep_at`) WHERE status = 'pending';--> statement-breakpoint
CREATE INDEX `pairing_requests_by_age` ON `pairing_requests` (`status`,`id`) WHERE status <> 'pending';--> statement-breakpoint
CREATE INDEX `devices_removed` ON `devices` (state ->> 'removedAt') WHERE removed = 1;--> statement-breakpoint
CREATE INDEX `setup_codes_expiry` ON `setup_codes` (`expires_at`);--> statement-breakpoint
CREATE INDEX `dead_letters_by_age` ON `dead_letters` (`at`);--> statement-breakpoint
CREATE INDEX `organisations_deleted` ON `organisations` (`deleted_at`) WHERE deleted_at is not null;--> statement-breakpoint
CREATE INDEX `webhook_recoveries_by_age` ON `webhook_recoveries` (`created_at`);--> statement-breakpoint
UPDATE `session_devices` SET `created_at` = s.`created_at` FROM `sessions` s WHERE s.`kind` = 'relay' AND s.`ended` = 0 AND s.`organisation_id` = `session_devices`.`organisation_id` AND s.`id` = `session_devices`.`session_id`;
