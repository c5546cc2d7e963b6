-- A rule shows the prefix that it was asked for; what counts is the network that it means.
alter table network.security_group_rule add column remote_ip_given text;
