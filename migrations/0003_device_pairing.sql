-- Device pairing: applications, pairing requests, devices and their tokens, setup codes, used nonces,
-- and the devices of live sessions.
CREATE TABLE `applications` (
	`id` text PRIMARY KEY NOT NULL,
	`organisation_id` integer NOT NULL,
	`name` text NOT NULL,
	`created_at` integer NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `applications_by_organisation` ON `applications` (`organisation_id`);--> statement-breakpoint
CREATE TABLE `device_tokens` (
	`digest` text PRIMARY KEY NOT NULL,
	`application_id` text NOT NULL,
	`device_id` text NOT NULL,
	`role` text NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `devices` (
	`application_id` text NOT NULL,
	`removed` integer NOT NULL,
	`created_at` integer NOT NULL,
	`id` text NOT NULL,
	`version` integer NOT NULL,
	`last_seen_at` integer,
	`state` text NOT NULL,
	PRIMARY KEY(`application_id`, `removed`, `created_at`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `devices_by_id` ON `devices` (`application_id`,`id`);--> statement-breakpoint
CREATE TABLE `pairing_requests` (
	`status` text NOT NULL,
	`application_id` text NOT NULL,
	`id` text NOT NULL,
	`organisation_id` integer NOT NULL,
	`device_id` text NOT NULL,
	`remote_ip` text NOT NULL,
	`expires_at` integer NOT NULL,
	`claim` text,
	`asked` text NOT NULL,
	`outcome` text,
	PRIMARY KEY(`status`, `application_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `session_devices` (
	`organisation_id` integer NOT NULL,
	`session_id` text NOT NULL,
	`device_id` text NOT NULL,
	PRIMARY KEY(`organisation_id`, `session_id`, `device_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `session_devices_by_device` ON `session_devices` (`organisation_id`,`device_id`);--> statement-breakpoint
CREATE TABLE `setup_codes` (
	`digest` text PRIMARY KEY NOT NULL,
	`expires_at` integer NOT NULL,
	`key_id` integer NOT NULL,
	`role` text NOT NULL,
	`scopes` text NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `used_nonces` (
	`half_hour` integer NOT NULL,
	`owner` text NOT NULL,
	`nonce` text NOT NULL,
	`used_at` integer NOT NULL,
	`claim` text NOT NULL,
	PRIMARY KEY(`half_hour`, `owner`, `nonce`)
) WITHOUT ROWID;
