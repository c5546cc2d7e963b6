// Clusters: back ends that several services stand for together. Here each host stands for its own alone, so there are
// none; Cinder without clusters answers the same.
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { clusterNotFound } from "../faults.ts"

const Named = Type.Object({ name: Type.String({ maxLength: 255 }) })

export const listClusters = operation({
  name: "block_storage.cluster.list",
  input: Type.Object({}),
  rule: "clusters:get_all",
  run: async (): Promise<never[]> => [],
})

export const getCluster = operation({
  name: "block_storage.cluster.get",
  input: Named,
  faults: [clusterNotFound],
  rule: "clusters:get",
  run: async (_ctx, { name }): Promise<never> => {
    throw clusterNotFound(name)
  },
})

export const updateCluster = operation({
  name: "block_storage.cluster.update",
  input: Named,
  faults: [clusterNotFound],
  rule: "clusters:update",
  run: async (_ctx, { name }): Promise<never> => {
    throw clusterNotFound(name)
  },
})
