export type TaskType = "import" | "api_image_import" | "location_import"
export type TaskStatus = "pending" | "processing" | "success" | "failure"

/** Long work on an image, as its owner and administrators can watch it. */
export interface Task {
  id: string
  type: TaskType
  status: TaskStatus
  projectId: string | null
  userId: string | null
  requestId: string | null
  imageId: string | null
  input: Record<string, unknown>
  result: Record<string, unknown> | null
  message: string
  /** When it is forgotten; null while it runs. */
  expiresAt: Date | null
  createdAt: Date
  updatedAt: Date
}
