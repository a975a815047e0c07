"""Results for people: tables, records, and the states that they show. Changes nothing."""
