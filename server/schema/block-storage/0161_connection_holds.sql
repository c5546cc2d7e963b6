-- For which reservation a machine outside of the cloud was given the volume; null: that one is over, and the machine is
-- to have it no more.
alter table block_storage.connection add column hold uuid;
update block_storage.connection set hold = gen_random_uuid() where initiator is not null;
