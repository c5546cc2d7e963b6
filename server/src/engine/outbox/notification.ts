// The form of oslo.messaging's notifications, which meters, alarms and audit tools of this field read.
import type { OutboxEvent } from "../../platform/context/durable.ts"

export interface StoredEvent {
  /** Rises in the order in which events became visible; resume a stream after it. */
  position: number
  message_id: string
  type: string
  publisher: string
  priority: "INFO" | "WARN" | "ERROR"
  project_id: string | null
  user_id: string | null
  request_id: string | null
  resource_id: string | null
  payload: OutboxEvent["payload"]
  created_at: Date
}

export interface Notification {
  message_id: string
  publisher_id: string
  event_type: string
  priority: string
  /** `2026-01-31 12:00:00.000000`, UTC. */
  timestamp: string
  payload: OutboxEvent["payload"]
  _unique_id: string
  _context_request_id: string | null
  _context_user_id: string | null
  _context_user: string | null
  _context_project_id: string | null
  _context_tenant: string | null
  _context_timestamp: string
}

export function notificationTopic(priority: StoredEvent["priority"]): string {
  return `notifications.${priority.toLowerCase()}`
}

export function toNotification(event: StoredEvent): Notification {
  return {
    message_id: event.message_id,
    publisher_id: event.publisher,
    event_type: event.type,
    priority: event.priority,
    timestamp: osloTime(event.created_at),
    payload: event.payload,
    _unique_id: event.message_id.replaceAll("-", ""),
    _context_request_id: event.request_id,
    _context_user_id: event.user_id,
    _context_user: event.user_id,
    _context_project_id: event.project_id,
    _context_tenant: event.project_id,
    _context_timestamp: event.created_at.toISOString().replace("Z", ""),
  }
}

function osloTime(at: Date): string {
  return `${at.toISOString().replace("T", " ").replace("Z", "")}000`
}
