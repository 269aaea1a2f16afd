-- Applications in the order of their list: newest first.
DROP INDEX `applications_by_organisation`;--> statement-breakpoint
CREATE INDEX `applications_by_organisation` ON `applications` (`organisation_id`,`created_at`);
