CREATE TABLE `api_keys` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`name` text NOT NULL,
	`organisation_ids` text NOT NULL,
	`permissions` text NOT NULL,
	`emails` text NOT NULL,
	`labels` text NOT NULL,
	`ip_allowlist` text NOT NULL,
	`dns_name` text,
	`blocked` integer DEFAULT false NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer,
	`expires_at` integer,
	`token_short` text NOT NULL,
	`token_version` integer DEFAULT 1 NOT NULL,
	`token_created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `dead_letters` (
	`id` text PRIMARY KEY NOT NULL,
	`queue` text NOT NULL,
	`at` integer NOT NULL,
	`reason` text NOT NULL,
	`body` text NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `deliveries` (
	`organisation_id` integer NOT NULL,
	`id` text NOT NULL,
	`event_id` text NOT NULL,
	`event_type` text NOT NULL,
	`format` text NOT NULL,
	`url` text NOT NULL,
	`status` text NOT NULL,
	`attempts` text NOT NULL,
	`attempt_count` integer NOT NULL,
	`next_attempt_at` integer,
	PRIMARY KEY(`organisation_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `events` (
	`organisation_id` integer NOT NULL,
	`id` text NOT NULL,
	`type` text NOT NULL,
	`at` integer NOT NULL,
	`data` text NOT NULL,
	PRIMARY KEY(`organisation_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `idempotency_keys` (
	`organisation_id` integer NOT NULL,
	`key_id` integer NOT NULL,
	`idempotency_key` text NOT NULL,
	`request_digest` text NOT NULL,
	`created_at` integer NOT NULL,
	`answer` text,
	PRIMARY KEY(`organisation_id`, `key_id`, `idempotency_key`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `idempotency_keys_age` ON `idempotency_keys` (`created_at`);--> statement-breakpoint
CREATE TABLE `join_codes` (
	`digest` text PRIMARY KEY NOT NULL,
	`session_id` text NOT NULL,
	`organisation_id` integer NOT NULL,
	`expires_at` integer NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `join_codes_expiry` ON `join_codes` (`expires_at`);--> statement-breakpoint
CREATE TABLE `key_tokens` (
	`digest` text PRIMARY KEY NOT NULL,
	`key_id` integer NOT NULL,
	`valid_until` integer
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `organisation_keys` (
	`organisation_id` integer NOT NULL,
	`key_id` integer NOT NULL,
	`created_at` integer NOT NULL,
	`last_used_at` integer,
	PRIMARY KEY(`organisation_id`, `key_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `organisations` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`name` text NOT NULL,
	`created_at` integer NOT NULL,
	`webhook_secret_version` integer DEFAULT 1 NOT NULL,
	`deleted_at` integer
);
--> statement-breakpoint
CREATE TABLE `session_counts` (
	`organisation_id` integer NOT NULL,
	`kind` text NOT NULL,
	`live` integer NOT NULL,
	PRIMARY KEY(`organisation_id`, `kind`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `sessions` (
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
	PRIMARY KEY(`organisation_id`, `kind`, `ended`, `created_at`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `sessions_sweep` ON `sessions` (`sweep_at`) WHERE sweep_at is not null;