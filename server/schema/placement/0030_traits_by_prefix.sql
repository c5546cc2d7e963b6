-- One order of traits, that of their bytes: the primary key serves `startswith:` too and gives what it finds in the
-- order of lists. Both sides of a comparison have it, so that each finds the other by its index.
drop index placement.custom_trait_prefix;
alter table placement.custom_trait alter column name type text collate "C";
alter table placement.provider_trait alter column trait type text collate "C";
