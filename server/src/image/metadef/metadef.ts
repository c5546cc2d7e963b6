// Nouns of the metadata definitions.
export interface Namespace {
  id: string
  name: string
  displayName: string | null
  description: string | null
  visibility: "public" | "private"
  isProtected: boolean
  projectId: string | null
  createdAt: Date
  updatedAt: Date
}

export type ItemKind = "object" | "property" | "tag"

export interface Item {
  kind: ItemKind
  name: string
  definition: Record<string, unknown>
  createdAt: Date
  updatedAt: Date
}

export interface Association {
  namespaceId: string
  resourceType: string
  prefix: string | null
  propertiesTarget: string | null
  createdAt: Date
  updatedAt: Date
}

export interface ResourceType {
  name: string
  createdAt: Date
  updatedAt: Date
}
