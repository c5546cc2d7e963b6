-- Definitions of metadata: namespaces of properties, objects and tags that images, flavors, volumes … may carry.
create table image.metadef_namespace (
  id uuid primary key,
  name text not null unique check (length(name) between 1 and 80),
  display_name text check (length(display_name) <= 80),
  description text check (length(description) <= 500),
  visibility text not null check (visibility in ('public', 'private')),
  is_protected boolean not null,
  project_id text,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index metadef_namespace_list on image.metadef_namespace (created_at nulls first, id nulls first);
create index metadef_namespace_project on image.metadef_namespace (project_id);

-- What a namespace consists of. A tag is a name only; the others have a definition.
create table image.metadef_item (
  namespace_id uuid not null references image.metadef_namespace (id) on delete cascade,
  kind text not null check (kind in ('object', 'property', 'tag')),
  name text not null check (length(name) between 1 and 80),
  definition jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (namespace_id, kind, name)
);

create table image.metadef_resource_type (
  name text primary key check (length(name) between 1 and 80),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
insert into image.metadef_resource_type (name) values
  ('OS::Cinder::Volume'), ('OS::Glance::Image'), ('OS::Nova::Aggregate'), ('OS::Nova::Flavor'), ('OS::Nova::Server');

create table image.metadef_association (
  namespace_id uuid not null references image.metadef_namespace (id) on delete cascade,
  resource_type text not null references image.metadef_resource_type (name),
  -- Stands before the names of the properties on that type.
  prefix text check (length(prefix) <= 80),
  properties_target text check (length(properties_target) <= 80),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (namespace_id, resource_type)
);
create index metadef_association_type on image.metadef_association (resource_type);
