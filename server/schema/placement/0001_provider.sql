-- Who has what (providers, inventories), what kind it is (traits, aggregates) and who holds how much of it (allocations).
create schema placement;

create table placement.resource_provider (
  id uuid primary key,
  name text not null unique check (length(name) between 1 and 200),
  -- Rises with every change of what the provider has or gives away; writers name the one that they have seen.
  generation bigint not null default 0,
  -- Top of the tree that this one is in; itself for a top.
  root_id uuid not null references placement.resource_provider (id) deferrable initially deferred,
  parent_id uuid references placement.resource_provider (id),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index resource_provider_root on placement.resource_provider (root_id);
create index resource_provider_parent on placement.resource_provider (parent_id) where parent_id is not null;

create table placement.inventory (
  provider_id uuid not null references placement.resource_provider (id) on delete cascade,
  resource_class text not null,
  total bigint not null check (total >= 1),
  reserved bigint not null check (reserved >= 0),
  min_unit bigint not null check (min_unit >= 1),
  max_unit bigint not null check (max_unit >= 1),
  step_size bigint not null check (step_size >= 1),
  allocation_ratio double precision not null check (allocation_ratio >= 0),
  -- Sum of the allocations, kept in the statement that writes them, so that a claim reads one row and not thousands.
  used bigint not null default 0 check (used >= 0),
  capacity bigint not null generated always as (floor((total - reserved) * allocation_ratio)::bigint) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (provider_id, resource_class)
);
create index inventory_class on placement.inventory (resource_class, provider_id);

create table placement.provider_aggregate (
  provider_id uuid not null references placement.resource_provider (id) on delete cascade,
  aggregate_id uuid not null,
  primary key (provider_id, aggregate_id)
);
create index provider_aggregate_aggregate on placement.provider_aggregate (aggregate_id);

create table placement.provider_trait (
  provider_id uuid not null references placement.resource_provider (id) on delete cascade,
  trait text not null,
  primary key (provider_id, trait)
);
create index provider_trait_trait on placement.provider_trait (trait);

-- Standard names are in the program; these are the CUSTOM_ ones.
create table placement.custom_trait (
  name text primary key check (name ~ '^CUSTOM_[A-Z0-9_]+$' and length(name) <= 255),
  created_at timestamptz not null default now()
);

create table placement.custom_resource_class (
  name text primary key check (name ~ '^CUSTOM_[A-Z0-9_]+$' and length(name) <= 255),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- Who holds something: a server, a migration. There is no consumer without an allocation.
create table placement.consumer (
  id uuid primary key,
  project_id text not null,
  user_id text not null,
  consumer_type text,
  generation bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index consumer_project on placement.consumer (project_id, user_id);

create table placement.allocation (
  consumer_id uuid not null references placement.consumer (id) on delete cascade,
  provider_id uuid not null,
  resource_class text not null,
  used bigint not null check (used >= 1),
  created_at timestamptz not null default now(),
  primary key (consumer_id, provider_id, resource_class),
  -- What is in use cannot be taken away.
  foreign key (provider_id, resource_class) references placement.inventory (provider_id, resource_class)
    on update cascade
);
create index allocation_inventory on placement.allocation (provider_id, resource_class);
