-- Lists of providers and of classes are in the order in which they were made.
create index resource_provider_list on placement.resource_provider (created_at, id);
create index custom_resource_class_list on placement.custom_resource_class (created_at, name);
-- For `startswith:`.
create index custom_trait_prefix on placement.custom_trait (name text_pattern_ops);
