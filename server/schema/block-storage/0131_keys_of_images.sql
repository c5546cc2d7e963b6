-- What opens the data of an image that was made of an encrypted volume, as `volume_key`. The image is of another
-- service, which tells of its end.
create table block_storage.image_key (
  image_id uuid primary key,
  id uuid not null unique,
  sealed text not null,
  provider text not null,
  control_location text not null,
  cipher text,
  key_size int,
  -- Of the volume: what is made of the image is of it, unless another is named.
  volume_type_id uuid
);
