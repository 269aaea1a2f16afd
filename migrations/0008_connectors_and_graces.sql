-- Every refresh of a key keeps the graces that were promised before it; connectors have events, a secret
-- that rotates (until now the version of their secret was the time of their creation), and say what failed.
ALTER TABLE `api_keys` ADD `previous_tokens` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
UPDATE `api_keys` SET `previous_tokens` = json_array(json_object('version', `token_version` - 1, 'until', `previous_token_until`)) WHERE `previous_token_until` IS NOT NULL;--> statement-breakpoint
ALTER TABLE `api_keys` DROP COLUMN `previous_token_until`;--> statement-breakpoint
ALTER TABLE `connectors` ADD `version` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `connectors` ADD `secret_version` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `connectors` ADD `previous_secrets` text DEFAULT '[]' NOT NULL;--> statement-breakpoint
ALTER TABLE `connectors` ADD `last_failure_at` integer;--> statement-breakpoint
ALTER TABLE `connectors` ADD `last_failure_reason` text;--> statement-breakpoint
UPDATE `connectors` SET `version` = `created_at`, `secret_version` = `created_at`;
