-- Connections and the relay permissions between them, with the counts that their lists show, and
-- which live sessions hold which connection, so that a change of permissions finds them.
CREATE TABLE `connection_counts` (
	`organisation_id` integer PRIMARY KEY NOT NULL,
	`registered` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `connections` (
	`organisation_id` integer NOT NULL,
	`connection_id` text NOT NULL,
	`memo` text NOT NULL,
	PRIMARY KEY(`organisation_id`, `connection_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `relay_permission_counts` (
	`organisation_id` integer NOT NULL,
	`side` text NOT NULL,
	`connection_id` text NOT NULL,
	`send_enabled` integer DEFAULT 0 NOT NULL,
	`send_disabled` integer DEFAULT 0 NOT NULL,
	`receive_enabled` integer DEFAULT 0 NOT NULL,
	`receive_disabled` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`organisation_id`, `side`, `connection_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `relay_permissions` (
	`organisation_id` integer NOT NULL,
	`connection_id` text NOT NULL,
	`remote_connection_id` text NOT NULL,
	`direction` text NOT NULL,
	`enabled` integer NOT NULL,
	`memo` text NOT NULL,
	PRIMARY KEY(`organisation_id`, `connection_id`, `remote_connection_id`, `direction`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `relay_permissions_by_state` ON `relay_permissions` (`organisation_id`,`direction`,`enabled`,`connection_id`,`remote_connection_id`);--> statement-breakpoint
CREATE INDEX `relay_permissions_by_remote` ON `relay_permissions` (`organisation_id`,`remote_connection_id`,`direction`,`enabled`,`connection_id`);--> statement-breakpoint
CREATE TABLE `session_connections` (
	`organisation_id` integer NOT NULL,
	`session_id` text NOT NULL,
	`connection_id` text NOT NULL,
	`cut` integer DEFAULT false NOT NULL,
	PRIMARY KEY(`organisation_id`, `session_id`, `connection_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `session_connections_by_connection` ON `session_connections` (`organisation_id`,`connection_id`);