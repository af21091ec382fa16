# A broker of `warren dev`. The key and the region are read from the environment.
variable "endpoint" {
  description = "Where Warren's API listens."
  type        = string
  default     = "http://127.0.0.1:8080"
}

variable "name" {
  description = "The name of the broker and of its configuration."
  type        = string
  default     = "orders"
}

variable "password" {
  description = "The password of the user `operator`: 12 characters or more."
  type        = string
  sensitive   = true
  default     = "correct-horse-battery"
}

variable "consumer_timeout_ms" {
  description = "How long a consumer may hold a message, in milliseconds."
  type        = number
  default     = 3600000
}

provider "aws" {
  # Warren knows the key and its account: AWS is not asked for either.
  skip_metadata_api_check = true

  endpoints {
    mq  = var.endpoint
    sts = var.endpoint
  }
}

module "broker" {
  source = "./broker"

  name     = var.name
  users    = { operator = var.password }
  settings = { consumer_timeout = var.consumer_timeout_ms }
  tags     = { made-by = "terraform" }
}

output "broker" {
  description = "The broker's id, ARN, endpoints and console."
  value       = module.broker
}
