/** Something that has resources to give: a host, a part of it, or storage that hosts share. */
export interface Provider {
  id: string
  name: string
  /** Rises with every change; who changes it names the generation that he has seen. */
  generation: number
  /** Null for the top of a tree. */
  parentId: string | null
  /** Itself for the top of a tree. */
  rootId: string
  createdAt: Date
  updatedAt: Date
}
