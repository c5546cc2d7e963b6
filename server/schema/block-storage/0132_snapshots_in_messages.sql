-- As Cinder calls them.
update block_storage.message set resource_type = 'VOLUME_SNAPSHOT' where resource_type = 'SNAPSHOT';
