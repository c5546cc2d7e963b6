import type { Service } from "../engine/service.ts"
import { ensureRegisteredLimits, unifiedLimits } from "../identity/index.ts"
import type { Platform } from "../platform/context/context.ts"
import { declareLimitSource, declareQuotaDefaults, type Limits } from "../quota/index.ts"
import "./config.ts"
import { recoverTransfers, transferReconciler, unknownFilesReconciler } from "./data/recover.ts"
import { importSaga } from "./import/import.saga.ts"
import { downloadRules } from "./import/web-download.ts"
import { imageApi } from "./openstack-v2/index.ts"
import { policies } from "./policy.ts"
import type {} from "./tables.ts"

/** As Glance names them: they are registered with identity, where operators change them. */
function quotaDefaults({ config }: Platform): Limits {
  const { quota } = config.image
  return {
    image_count_total: quota.countMax,
    image_size_total: quota.sizeMibMax,
    image_stage_total: quota.stageMibMax,
    image_count_uploading: quota.uploadMax,
  }
}

/** Disk images: records, data, sharing. */
export const imageService: Service = {
  name: "image",
  apis: [imageApi],
  catalog: { type: "image", name: "glance", path: "/image" },
  classicPorts: [{ port: 9292, mount: "/image" }],
  policies,
  sagas: [importSaga],
  reconcilers: [transferReconciler, unknownFilesReconciler],
  seed: async (platform) => await ensureRegisteredLimits(platform, "image", quotaDefaults(platform)),
  start: async (platform) => {
    // A range that is none is told at the start, and not to the first who imports.
    downloadRules(platform.config)
    declareQuotaDefaults("image", quotaDefaults(platform))
    const { region } = platform.config
    declareLimitSource("image", (db, projectId) =>
      unifiedLimits(db, { projectId, serviceType: "image", region }),
    )
    return undefined
  },
  work: async (platform) => {
    await recoverTransfers(platform)
    return undefined
  },
}
