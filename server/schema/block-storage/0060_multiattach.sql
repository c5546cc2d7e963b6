-- Volumes that several servers have at once, where their type says so.
alter table block_storage.volume add column is_multiattach boolean not null default false;
-- As its volume was when it was made.
alter table block_storage.attachment add column is_shared boolean not null default false;
alter table block_storage.attachment drop constraint attachment_volume_key;
-- One attachment of a volume that is nobody's but one's, and one of a server in any case.
create unique index attachment_alone on block_storage.attachment (volume_id) where not is_shared;
create unique index attachment_of_one_server on block_storage.attachment (volume_id, server_id) where is_of_server;
create index attachment_of_volume on block_storage.attachment (volume_id, created_at, id);
