-- What Neutron calls the rules that there were before operators could change them.
update network.default_security_group_rule set description = 'Legacy default SG rule for ' || direction || ' traffic'
  where description = '' and protocol is null and remote_ip_prefix is null and remote_address_group_id is null
    and ((direction = 'egress' and remote_group_id is null) or (direction = 'ingress' and remote_group_id = 'PARENT'));
