import { type Route, route } from "../../platform/http/wire.ts"
import { importMethods, removeFromStore, showImageUsage, showStores, storeId } from "../index.ts"

export const infoRoutes: Route[] = [
  route({
    method: "GET",
    path: "/info/import",
    policy: "authenticated",
    handler: async () => ({
      "import-methods": { description: "Import methods available.", type: "array", value: importMethods },
    }),
  }),
  route({
    method: "GET",
    path: "/info/stores",
    policy: "authenticated",
    handler: async () => ({ stores: [{ id: storeId, description: "Files of this cloud", default: "true" }] }),
  }),
  route({
    method: "GET",
    path: "/info/stores/detail",
    operation: showStores,
    handler: async (ctx) => {
      const { directory, chunkBytes } = await showStores(ctx, {})
      return {
        stores: [
          {
            id: storeId,
            description: "Files of this cloud",
            default: "true",
            type: "file",
            weight: 0,
            properties: { data_dir: directory, chunk_size: chunkBytes, thin_provisioning: false },
          },
        ],
      }
    },
  }),
  route({
    method: "DELETE",
    path: "/stores/{store_id}/{image_id}",
    operation: removeFromStore,
    handler: async (ctx, req) => {
      await removeFromStore(ctx, { store: req.params.store_id ?? "", imageId: req.params.image_id ?? "" })
    },
  }),
  route({
    method: "GET",
    path: "/info/usage",
    operation: showImageUsage,
    handler: async (ctx) => ({ usage: await showImageUsage(ctx, {}) }),
  }),
]
