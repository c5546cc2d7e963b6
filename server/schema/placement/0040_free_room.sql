-- Hosts with the most free memory (or the least) are found without looking at the others.
create index inventory_free on placement.inventory (resource_class, (capacity - used), provider_id);
