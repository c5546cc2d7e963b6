// Cinder's list of extensions: a fixed thing since microversions; old clients look for some of these aliases.
import { extensionListRoutes } from "../../api/openstack/extension-list.ts"
import { extensionNotFound } from "../index.ts"

/** Alias → name, of those whose calls are served here. */
const served: Readonly<Record<string, string>> = {
  "os-admin-actions": "AdminActions",
  "os-availability-zone": "AvailabilityZones",
  "os-extended-snapshot-attributes": "ExtendedSnapshotAttributes",
  "os-hosts": "Hosts",
  "os-quota-class-sets": "QuotaClasses",
  "os-quota-sets": "Quotas",
  "os-services": "Services",
  "os-snapshot-actions": "SnapshotActions",
  "os-snapshot-manage": "SnapshotManage",
  "os-snapshot-unmanage": "SnapshotUnmanage",
  "os-types-extra-specs": "TypesExtraSpecs",
  "os-types-manage": "TypesManage",
  "os-used-limits": "UsedLimits",
  "os-vol-host-attr": "VolumeHostAttribute",
  "os-vol-image-meta": "VolumeImageMetadata",
  "os-vol-mig-status-attr": "VolumeMigStatusAttribute",
  "os-vol-tenant-attr": "VolumeTenantAttribute",
  "os-volume-actions": "VolumeActions",
  "os-volume-encryption-metadata": "VolumeEncryptionMetadata",
  "os-volume-manage": "VolumeManage",
  "os-volume-transfer": "VolumeTransfer",
  "os-volume-type-access": "VolumeTypeAccess",
  "os-volume-unmanage": "VolumeUnmanage",
  capabilities: "Capabilities",
  cgsnapshots: "Cgsnapshots",
  consistencygroups: "Consistencygroups",
  encryption: "VolumeTypeEncryption",
  "scheduler-stats": "Scheduler_stats",
}

const viewExtension = (alias: string, name: string) => ({
  alias,
  name,
  description: `${name}.`,
  links: [],
  updated: "2014-12-03T00:00:00+00:00",
})

export const extensionRoutes = extensionListRoutes({
  served,
  view: viewExtension,
  notFound: extensionNotFound,
})
