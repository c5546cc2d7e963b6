import type { Service } from "../engine/service.ts"
import { ensureRegisteredLimits } from "../identity/index.ts"
import { configuredLimits } from "../quota/index.ts"
import { prefetchSaga } from "./cache/prefetch.saga.ts"
import { removeSaga } from "./cache/remove.saga.ts"
import "./config.ts"
import { recoverTransfers, transferReconciler, unknownFilesReconciler } from "./data/recover.ts"
import { copySaga } from "./import/copy.saga.ts"
import { importSaga } from "./import/import.saga.ts"
import { downloadRules } from "./import/web-download.ts"
import { readSaga } from "./location/read.saga.ts"
import { imageApi } from "./openstack-v2/index.ts"
import { policies } from "./policy.ts"
import { imageQuota } from "./quota.ts"
import type {} from "./tables.ts"

/** Disk images: records, data, sharing. */
export const imageService: Service = {
  name: "image",
  apis: [imageApi],
  catalog: { type: "image", name: "glance", path: "/image" },
  classicPorts: [{ port: 9292, mount: "/image" }],
  policies,
  quota: imageQuota,
  sagas: [importSaga, copySaga, readSaga, prefetchSaga, removeSaga],
  reconcilers: [transferReconciler, unknownFilesReconciler],
  seed: async (platform) =>
    await ensureRegisteredLimits(platform, "image", configuredLimits(platform, imageQuota)),
  start: async (platform) => {
    // A range that is none is told at the start, and not to the first who imports.
    downloadRules(platform.config)
    return undefined
  },
  work: async (platform) => {
    await recoverTransfers(platform)
    return undefined
  },
}
