output "id" {
  value = aws_mq_broker.this.id
}

output "arn" {
  value = aws_mq_broker.this.arn
}

output "endpoints" {
  description = "AMQPS first."
  value       = aws_mq_broker.this.instances[0].endpoints
}

output "console_url" {
  value = aws_mq_broker.this.instances[0].console_url
}
