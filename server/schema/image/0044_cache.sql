-- Images in the caches of hosts. What is in them only the hosts know, and are asked; here is whom to ask, and where an
-- image is still to be brought.

-- Hosts as they report, and when that was about.
create table image.cache_host (
  host text primary key,
  seen_at timestamptz not null
);

create table image.cache_queue (
  image_id uuid not null references image.image (id) on delete cascade,
  host text not null,
  -- Of the wish, in the order of all of them; goes with the commands to the host.
  generation bigint not null,
  queued_at timestamptz not null,
  primary key (image_id, host)
);

-- Whole queues are read, in this order.
create index cache_queue_by_generation on image.cache_queue (generation);

create sequence image.cache_generation;

-- A host names its data by their sum; that of what lies at an address is this one.
create index image_read_checksum on image.image (read_checksum) where read_checksum <> '';
