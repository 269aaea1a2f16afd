-- Relay nodes: machines of the owner that carry the datagrams of sessions, and the tokens with which they link.
CREATE TABLE `relay_node_tokens` (
	`digest` text PRIMARY KEY NOT NULL,
	`organisation_id` integer NOT NULL,
	`node_id` text NOT NULL,
	`valid_until` integer
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `relay_node_tokens_node` ON `relay_node_tokens` (`node_id`);--> statement-breakpoint
CREATE TABLE `relay_nodes` (
	`organisation_id` integer NOT NULL,
	`id` text NOT NULL,
	`created_at` integer NOT NULL,
	`name` text NOT NULL,
	`region` text,
	`capacity` integer,
	`drained` integer DEFAULT false NOT NULL,
	`status` text DEFAULT 'never-connected' NOT NULL,
	`seen_at` integer,
	`facts` text,
	`latitude` real,
	`longitude` real,
	`fill` real DEFAULT 0 NOT NULL,
	`load` text,
	PRIMARY KEY(`organisation_id`, `id`)
) WITHOUT ROWID;
