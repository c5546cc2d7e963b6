-- The indexes without the empty value could not be used by prepared statements, whose plans must hold for any value:
-- they read the whole table.
create index port_by_any_device on network.port (device_id);
create index port_by_any_host on network.port (host_id);
drop index network.port_by_device;
drop index network.port_by_host;
