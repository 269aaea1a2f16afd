-- Events and deliveries are in journals now. Those that D1 had are given up: no deployment has data yet.
DROP TABLE `deliveries`;--> statement-breakpoint
DROP TABLE `events`;
