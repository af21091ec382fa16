variable "name" {
  description = "The name of the broker and of its configuration."
  type        = string
}

variable "engine_version" {
  description = "The version of RabbitMQ that the broker speaks as."
  type        = string
  default     = "4.2"
}

variable "instance_type" {
  description = "The size of the broker's host."
  type        = string
  default     = "mq.m7g.medium"
}

variable "users" {
  description = "The password of each user by name. RabbitMQ brokers are created with one."
  type        = map(string)
  sensitive   = true

  validation {
    condition     = length(var.users) == 1
    error_message = "A RabbitMQ broker is created with exactly one user."
  }
}

variable "settings" {
  description = "Settings of the configuration by key, as in rabbitmq.conf."
  type        = map(string)
  default     = {}
}

variable "maintenance_window" {
  description = "When maintenance may begin, each week."
  type = object({
    day_of_week = string
    time_of_day = string
    time_zone   = string
  })
  default = {
    day_of_week = "SUNDAY"
    time_of_day = "03:00"
    time_zone   = "UTC"
  }
}

variable "tags" {
  description = "The tags of the broker and of its configuration."
  type        = map(string)
  default     = {}
}
