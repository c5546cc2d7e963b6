-- Files that the request for a machine gives its guest (until microversion 2.56): for the config drive and the metadata
-- service, in the order of the request. They are the machine's: a rebuild brings others or none.
create table compute.injected_file (
  server_id uuid not null references compute.server (id) on delete cascade,
  position integer not null,
  path text not null,
  -- Base64, as it was given.
  contents text not null,
  primary key (server_id, position)
);
