-- Who may have a volume is for block storage to say, which lets several servers have some. A server has it once.
alter table compute.block_device drop constraint block_device_volume_key;
alter table compute.block_device add constraint block_device_volume_key unique (volume_id, server_id);
