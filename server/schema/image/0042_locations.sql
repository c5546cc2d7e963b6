-- Where the data of an image are: a row for each place. A file of a file store, or an address that the http store reads.
create table image.location (
  id uuid primary key default gen_random_uuid(),
  image_id uuid not null references image.image (id) on delete cascade,
  -- The order in which users see them; not without gaps.
  position integer not null,
  store text not null,
  file text,
  url text,
  -- What users wrote on it.
  metadata jsonb not null default '{}',
  created_at timestamptz not null,
  check ((file is null) <> (url is null))
);
create unique index location_place on image.location (image_id, store, coalesce(file, url));

insert into image.location (image_id, position, store, file, created_at)
  select id, 0, 'file', data_file, updated_at from image.image where data_file is not null;
alter table image.image drop column data_file;
-- md5 of the data as the cloud itself read it, where `checksum` is what somebody said or nothing.
alter table image.image add column read_checksum text;
