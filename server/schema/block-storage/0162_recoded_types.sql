-- expand: what reads the type that a volume is becoming of looks at that alone
-- A volume that becomes encrypted, or is so no more, is becoming of another type where it is.
alter table block_storage.volume drop constraint volume_target_type_on_its_way;
