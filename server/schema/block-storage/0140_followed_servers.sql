-- A volume that goes along with its server to another host of its share, while the server runs: it is on its way
-- (target_host) as one that is moved, and nobody moves its data. The generation is that of the server's task.
alter table block_storage.volume
  add column follows_server uuid,
  add column follows_generation integer,
  add constraint volume_follows_on_its_way check (follows_server is null or target_host is not null),
  add constraint volume_follows_whole check ((follows_server is null) = (follows_generation is null));
create index volume_following on block_storage.volume (follows_server) where follows_server is not null;
