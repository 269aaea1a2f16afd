-- API keys become manageable: unique dnsNames, search by name, short and blocked, refresh with grace,
-- expiry announced ahead; operators can sign in and out; events of what lives in D1 are owed until sent.
CREATE TABLE `operator_emails` (
	`email` text NOT NULL,
	`key_id` integer NOT NULL,
	PRIMARY KEY(`email`, `key_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `owed_events` (
	`id` text PRIMARY KEY NOT NULL,
	`organisation_id` integer NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `signed_out_tokens` (
	`key_id` integer NOT NULL,
	`token_id` text NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`key_id`, `token_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `signed_out_tokens_expiry` ON `signed_out_tokens` (`expires_at`);--> statement-breakpoint
ALTER TABLE `api_keys` ADD `previous_token_until` integer;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `version` integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `expiring_at` integer;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `name_folded` text DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX `api_keys_dns_name` ON `api_keys` (`dns_name`) WHERE dns_name is not null;--> statement-breakpoint
CREATE INDEX `api_keys_token_short` ON `api_keys` (`token_short`);--> statement-breakpoint
CREATE INDEX `api_keys_expiring` ON `api_keys` (`expiring_at`) WHERE expiring_at is not null;--> statement-breakpoint
ALTER TABLE `organisation_keys` ADD `blocked` integer DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX `organisation_keys_blocked` ON `organisation_keys` (`organisation_id`,`blocked`);--> statement-breakpoint
CREATE INDEX `key_tokens_key` ON `key_tokens` (`key_id`);--> statement-breakpoint
UPDATE `api_keys` SET `name_folded` = lower(`name`);--> statement-breakpoint
UPDATE `organisation_keys` SET `blocked` = 1 WHERE `key_id` IN (SELECT `id` FROM `api_keys` WHERE `blocked`);
