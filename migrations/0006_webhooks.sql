CREATE TABLE `webhook_recoveries` (
	`organisation_id` integer NOT NULL,
	`id` text NOT NULL,
	`endpoint_id` text NOT NULL,
	`since` integer NOT NULL,
	`until` integer NOT NULL,
	`reached` text,
	`resent` integer DEFAULT 0 NOT NULL,
	`created_at` integer NOT NULL,
	`finished_at` integer,
	PRIMARY KEY(`organisation_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `organisations` ADD `previous_webhook_secrets` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `relay_permissions` ADD `version` integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE `webhook_endpoints` ADD `previous_secrets` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `webhook_endpoints` ADD `description` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `webhook_endpoints` ADD `event_types` text;--> statement-breakpoint
ALTER TABLE `webhook_endpoints` ADD `disabled_reason` text;--> statement-breakpoint
ALTER TABLE `webhook_endpoints` ADD `failing_since` integer;--> statement-breakpoint
ALTER TABLE `webhook_endpoints` ADD `version` integer DEFAULT 1 NOT NULL;--> statement-breakpoint
CREATE INDEX `deliveries_undelivered` ON `deliveries` (`organisation_id`,`id`) WHERE status in ('failed', 'discarded');