// Nova's list of extensions: a fixed thing since microversions; old clients look for some of these aliases.

import { extensionListRoutes } from "../../api/openstack/extension-list.ts"
import { extensionNotFound } from "../index.ts"

/** Alias → name, of those whose calls are served here. */
const served: Readonly<Record<string, string>> = {
  "OS-DCF": "DiskConfig",
  "OS-EXT-AZ": "ExtendedAvailabilityZone",
  "OS-EXT-IPS": "ExtendedIps",
  "OS-EXT-IPS-MAC": "ExtendedIpsMac",
  "OS-EXT-SRV-ATTR": "ExtendedServerAttributes",
  "OS-EXT-STS": "ExtendedStatus",
  "OS-SCH-HNT": "SchedulerHints",
  "OS-SRV-USG": "ServerUsage",
  "os-admin-actions": "AdminActions",
  "os-aggregates": "Aggregates",
  "os-attach-interfaces": "AttachInterfaces",
  "os-availability-zone": "AvailabilityZone",
  "os-config-drive": "ConfigDrive",
  "os-console-output": "ConsoleOutput",
  "os-create-backup": "CreateBackup",
  "os-extended-volumes": "ExtendedVolumes",
  "os-flavor-access": "FlavorAccess",
  "os-flavor-extra-specs": "FlavorExtraSpecs",
  "os-flavor-manage": "FlavorManage",
  "os-hosts": "Hosts",
  "os-hypervisors": "Hypervisors",
  "os-instance-actions": "InstanceActions",
  "os-instance_usage_audit_log": "OSInstanceUsageAuditLog",
  "os-keypairs": "Keypairs",
  "os-lock-server": "LockServer",
  "os-migrations": "Migrations",
  "os-networks": "Networks",
  "os-pause-server": "PauseServer",
  "os-quota-class-sets": "QuotaClasses",
  "os-quota-sets": "Quotas",
  "os-rescue": "Rescue",
  "os-security-groups": "SecurityGroups",
  "os-server-diagnostics": "ServerDiagnostics",
  "os-server-external-events": "ServerExternalEvents",
  "os-server-groups": "ServerGroups",
  "os-server-password": "ServerPassword",
  "os-services": "Services",
  "os-shelve": "Shelve",
  "os-simple-tenant-usage": "SimpleTenantUsage",
  "os-suspend-server": "SuspendServer",
  "os-tenant-networks": "OSTenantNetworks",
  "os-used-limits": "UsedLimits",
  "os-user-data": "UserData",
  "os-volumes": "Volumes",
}

function viewExtension(alias: string, name: string) {
  return {
    alias,
    name,
    description: `${name}.`,
    links: [],
    namespace: "http://docs.openstack.org/compute/ext/fake_xml",
    updated: "2014-12-03T00:00:00Z",
  }
}

export const extensionRoutes = extensionListRoutes({
  served,
  view: viewExtension,
  notFound: extensionNotFound,
})
