-- By the id first: a relay session knows the devices of its users by id alone, and looks them up when they connect.
DROP INDEX `devices_by_id`;--> statement-breakpoint
CREATE UNIQUE INDEX `devices_by_id` ON `devices` (`id`,`application_id`);