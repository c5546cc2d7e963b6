-- Of which type a volume on its way is to be, when that is another one: it counts for both until it is there.
alter table block_storage.volume
  add column target_type_id uuid references block_storage.volume_type (id),
  add constraint volume_target_type_on_its_way check (target_type_id is null or target_host is not null);
create index volume_to_type on block_storage.volume (target_type_id) where target_type_id is not null;
