-- What a change means in the network's engine is found by index, not by looking through a network's ports.
create index port_by_dns_name on network.port (network_id, lower(dns_name)) where dns_name <> '';
create index port_with_pairs on network.port (network_id) where allowed_address_pairs <> '[]';
