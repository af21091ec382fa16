-- What a call of the API is traced as goes on with its jobs: a W3C traceparent, null when nobody traces.
alter table jobs add column traceparent text;
