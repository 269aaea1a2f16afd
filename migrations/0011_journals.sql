-- Events and their deliveries leave D1: they are kept in journals, which are Durable Objects. Nothing is copied: no deployment has data yet. What is owed holds the whole event.
CREATE TABLE `journals` (
	`organisation_id` integer NOT NULL,
	`day` integer NOT NULL,
	`number` integer NOT NULL,
	PRIMARY KEY(`organisation_id`, `day`, `number`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `journals_by_day` ON `journals` (`day`);--> statement-breakpoint
DROP TABLE `owed_events`;--> statement-breakpoint
CREATE TABLE `owed_events` (
	`id` text PRIMARY KEY NOT NULL,
	`organisation_id` integer NOT NULL,
	`type` text NOT NULL,
	`at` integer NOT NULL,
	`data` text NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `organisations` ADD `journal_counts` text DEFAULT '[]' NOT NULL;
