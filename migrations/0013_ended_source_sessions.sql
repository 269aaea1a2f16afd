-- The object of a source session is removed within an hour of its end. Its row stays, is found by its id, and knows when the session was last used.
ALTER TABLE `sessions` ADD `used_at` integer;--> statement-breakpoint
CREATE INDEX `sessions_ended_by_id` ON `sessions` (`id`) WHERE source_id is not null and ended > 0;
