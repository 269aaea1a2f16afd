-- Source sessions: users, sources and connectors; what their list filters sessions by (partial indexes,
-- so that relay sessions cost nothing more); webhook endpoints, to which a delivery can be owed.
CREATE TABLE `connectors` (
	`organisation_id` integer NOT NULL,
	`type` text NOT NULL,
	`url` text NOT NULL,
	`timeout_seconds` integer NOT NULL,
	`check_interval_seconds` integer,
	`session_ttl_seconds` integer NOT NULL,
	`idle_seconds` integer NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`organisation_id`, `type`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `sources` (
	`organisation_id` integer NOT NULL,
	`id` integer NOT NULL,
	`user_id` integer NOT NULL,
	`type` text NOT NULL,
	`identifier` text NOT NULL,
	`state` text NOT NULL,
	`state_at` integer NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`organisation_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `sources_identity` ON `sources` (`organisation_id`,`identifier`,`type`,`user_id`);--> statement-breakpoint
CREATE INDEX `sources_by_user` ON `sources` (`organisation_id`,`user_id`,`id`);--> statement-breakpoint
CREATE INDEX `sources_by_type` ON `sources` (`organisation_id`,`type`,`id`);--> statement-breakpoint
CREATE INDEX `sources_by_state` ON `sources` (`organisation_id`,`state`,`id`);--> statement-breakpoint
CREATE TABLE `users` (
	`organisation_id` integer NOT NULL,
	`id` integer NOT NULL,
	`identifier` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`organisation_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `users_identifier` ON `users` (`organisation_id`,`identifier`);--> statement-breakpoint
CREATE TABLE `webhook_endpoints` (
	`organisation_id` integer NOT NULL,
	`id` text NOT NULL,
	`url` text NOT NULL,
	`format` text NOT NULL,
	`enabled` integer NOT NULL,
	`valid` integer,
	`secret_version` integer DEFAULT 1 NOT NULL,
	`origin` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`organisation_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `deliveries` ADD `endpoint_id` text;--> statement-breakpoint
ALTER TABLE `session_counts` ADD `total` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `sessions` ADD `key_id` integer;--> statement-breakpoint
ALTER TABLE `sessions` ADD `user_id` integer;--> statement-breakpoint
ALTER TABLE `sessions` ADD `source_id` integer;--> statement-breakpoint
CREATE INDEX `sessions_by_key` ON `sessions` (`organisation_id`,`key_id`,`ended`,`created_at`,`id`) WHERE key_id is not null;--> statement-breakpoint
CREATE INDEX `sessions_by_user` ON `sessions` (`organisation_id`,`user_id`,`ended`,`created_at`,`id`) WHERE user_id is not null;--> statement-breakpoint
CREATE INDEX `sessions_by_source` ON `sessions` (`organisation_id`,`source_id`,`ended`,`created_at`,`id`) WHERE source_id is not null;--> statement-breakpoint
CREATE INDEX `sessions_by_end` ON `sessions` (`organisation_id`,`ended_at`) WHERE source_id is not null and ended = 1;