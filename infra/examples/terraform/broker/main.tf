resource "aws_mq_configuration" "this" {
  name           = var.name
  description    = "Settings of ${var.name}"
  engine_type    = "RabbitMQ"
  engine_version = var.engine_version
  data           = join("", [for key, value in var.settings : "${key} = ${value}\n"])
  tags           = var.tags
}

resource "aws_mq_broker" "this" {
  broker_name                = var.name
  engine_type                = "RabbitMQ"
  engine_version             = var.engine_version
  deployment_mode            = "SINGLE_INSTANCE"
  host_instance_type         = var.instance_type
  publicly_accessible        = false
  auto_minor_version_upgrade = true
  apply_immediately          = true
  tags                       = var.tags

  configuration {
    id       = aws_mq_configuration.this.id
    revision = aws_mq_configuration.this.latest_revision
  }

  dynamic "user" {
    for_each = nonsensitive(keys(var.users))
    content {
      username = user.value
      password = var.users[user.value]
    }
  }

  maintenance_window_start_time {
    day_of_week = var.maintenance_window.day_of_week
    time_of_day = var.maintenance_window.time_of_day
    time_zone   = var.maintenance_window.time_zone
  }
}
