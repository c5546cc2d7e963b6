-- What opens the data of a backup of an encrypted volume, as `volume_key`: gone with the backup.
create table block_storage.backup_key (
  backup_id uuid primary key references block_storage.backup (id) on delete cascade,
  id uuid not null unique,
  sealed text not null,
  provider text not null,
  control_location text not null,
  cipher text,
  key_size int,
  -- Of the volume that was backed up: a volume made of the backup is of it, unless another is named.
  volume_type_id uuid
);

-- A restore that brings another key has begun and has not ended: nobody knows which of the two opens the data.
alter table block_storage.volume_key add column is_in_doubt boolean not null default false;
