-- How the new volumes of a type are encrypted.
create table block_storage.type_encryption (
  volume_type_id uuid primary key references block_storage.volume_type (id) on delete cascade,
  id uuid not null unique,
  provider text not null,
  -- Who encrypts: the machine that has the volume, or the back end.
  control_location text not null check (control_location in ('front-end', 'back-end')),
  -- Null: what the provider takes by itself.
  cipher text,
  key_size int,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3)
);

-- What opens an encrypted volume, sealed, and how its type was encrypted when its data were made. It is gone with the
-- volume, and then nobody reads what is left of the data.
create table block_storage.volume_key (
  volume_id uuid primary key references block_storage.volume (id) on delete cascade,
  id uuid not null unique,
  sealed text not null,
  provider text not null,
  control_location text not null,
  cipher text,
  key_size int
);
